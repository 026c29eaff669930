-- How often the documents of a mix are repeated: documents and bytes by repeat and origin.
-- of: mix
SELECT epoch, origin, count(DISTINCT key) AS documents, sum(bytes)::BIGINT AS bytes, sum(tokens)::BIGINT AS tokens
FROM pieces
GROUP BY epoch, origin
ORDER BY epoch, origin
