-- Which input files lost the largest share of their records, and to which reason mostly.
-- of: run, snapshot
-- Rejects that tell of what was redacted name no file, and an index-only snapshot's never did: they are counted apart (redacted_or_hidden).
WITH reasons AS (
    SELECT file_path, stage || '/' || reason AS why, count(*) AS records FROM rejects GROUP BY ALL
)
SELECT
    s.file_path,
    s.records,
    s.rejects,
    s.rejects / nullif(s.records, 0) AS rejected_share,
    coalesce(r.why, CASE WHEN s.rejects > 0 THEN '(not known: its rejects name no file)' END) AS most_frequent,
    greatest(s.rejects - coalesce(r.rows, 0), 0)::BIGINT AS redacted_or_hidden
FROM (SELECT file_path, sum(records)::BIGINT AS records, sum(rejects)::BIGINT AS rejects FROM sources GROUP BY 1) s
LEFT JOIN (SELECT file_path, arg_max(why, (records, why)) AS why, sum(records) AS rows FROM reasons GROUP BY 1) r ON r.file_path = s.file_path
ORDER BY rejected_share DESC NULLS LAST, rejects DESC, s.file_path
