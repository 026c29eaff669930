-- What a mix is made of: rows, documents and UTF-8 bytes by origin and attestation, repeats included.
-- of: mix
SELECT origin, attestation, count(*) AS rows, count(DISTINCT key) AS documents, coalesce(sum(strlen(text)), 0)::BIGINT AS bytes
FROM shards
GROUP BY origin, attestation
ORDER BY bytes DESC, origin, attestation
