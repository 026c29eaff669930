-- Why documents were tagged as they were: each origin and the reason in words, numbers as N and keys as K, the most frequent first.
-- of: run, snapshot
SELECT
    origin,
    regexp_replace(
        regexp_replace(coalesce(reason, ''), '\b[0-9a-f]{32}\b', 'K', 'g'), '-?\b[0-9][0-9,]*(\.[0-9]+)?(e[-+]?[0-9]+)?\b', 'N', 'g'
    ) AS reason,
    count(*) AS documents,
    count(*) FILTER (WHERE canonical IS NULL) AS kept
FROM tags
GROUP BY origin, 2
ORDER BY documents DESC, origin, 2
