-- What a mix is made of: rows, documents and UTF-8 bytes by origin and attestation, repeats included.
-- of: mix
SELECT origin, attestation, count(*) AS rows, count(DISTINCT key) AS documents, sum(bytes)::BIGINT AS bytes, sum(tokens)::BIGINT AS tokens
FROM pieces
GROUP BY origin, attestation
ORDER BY sum(coalesce(pieces.bytes, pieces.tokens)) DESC, origin, attestation
