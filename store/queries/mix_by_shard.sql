-- The human share of each shard by UTF-8 bytes: at its end, and at the row where it is lowest after each row is counted.
-- of: mix
WITH running AS (
    SELECT
        shard,
        row,
        sum(CASE WHEN origin = 'human' THEN coalesce(bytes, tokens) ELSE 0 END) OVER prefix AS human,
        sum(coalesce(bytes, tokens)) OVER prefix AS total
    FROM pieces
    WINDOW prefix AS (PARTITION BY shard ORDER BY row)
)
SELECT
    shard,
    count(*) AS rows,
    max(total)::BIGINT AS bytes,
    max(human)::BIGINT AS human_bytes,
    max(human) / max(total) AS human_share,
    min(human / total) AS lowest_share,
    arg_min(row, (human / total, row)) AS lowest_at_row
FROM running
GROUP BY shard
ORDER BY shard
