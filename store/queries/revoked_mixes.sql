-- Which mixes a revocation list touches: their human documents and bytes that it takes away, each repeat counted, and why.
-- of: mixes
-- with: revoked
WITH why AS (SELECT mix, key, min(kind || ' ' || value || ': ' || reason) AS reason FROM touched GROUP BY mix, key)
SELECT
    m.mix,
    m.snapshot,
    count(DISTINCT w.key) AS documents,
    coalesce(sum(strlen(s.text)) FILTER (WHERE w.key IS NOT NULL), 0)::BIGINT AS bytes,
    coalesce(sum(strlen(s.text)) FILTER (WHERE w.key IS NOT NULL) / nullif(sum(strlen(s.text)) FILTER (WHERE s.origin = 'human'), 0), 0) AS share_of_human,
    count(DISTINCT w.reason) AS reasons,
    min(w.reason) AS example_reason
FROM mixes m
LEFT JOIN shards s ON s.mix = m.mix
LEFT JOIN why w ON w.mix = s.mix AND w.key = s.key
GROUP BY m.mix, m.snapshot
ORDER BY bytes DESC, m.mix
