-- How often the documents of a mix are repeated: documents and bytes by repeat and origin.
-- of: mix
SELECT epoch, origin, count(DISTINCT key) AS documents, coalesce(sum(strlen(text)), 0)::BIGINT AS bytes
FROM shards
GROUP BY epoch, origin
ORDER BY epoch, origin
