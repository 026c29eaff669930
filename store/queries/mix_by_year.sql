-- When the human side of a mix was captured: documents and bytes by year, repeats counted once.
-- of: mix
SELECT coalesce(strftime(date, '%Y'), 'no date') AS year, count(DISTINCT key) AS documents, sum(bytes)::BIGINT AS bytes, sum(tokens)::BIGINT AS tokens
FROM pieces
WHERE origin = 'human' AND epoch = 0
GROUP BY 1
ORDER BY 1
