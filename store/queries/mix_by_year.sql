-- When the human side of a mix was captured: documents and bytes by year, repeats counted once.
-- of: mix
SELECT coalesce(strftime(date, '%Y'), 'no date') AS year, count(DISTINCT key) AS documents, coalesce(sum(strlen(text)), 0)::BIGINT AS bytes
FROM shards
WHERE origin = 'human' AND epoch = 0
GROUP BY 1
ORDER BY 1
