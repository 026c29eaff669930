-- Why documents were tagged as they were: each origin and the reason in words, the most frequent first.
-- of: run, snapshot
SELECT origin, coalesce(reason, '') AS reason, count(*) AS documents, count(*) FILTER (WHERE canonical IS NULL) AS kept
FROM tags
GROUP BY origin, 2
ORDER BY documents DESC, origin, reason
