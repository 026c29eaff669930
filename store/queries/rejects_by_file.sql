-- Which input files lost the largest share of their records, and to which reason mostly.
-- of: run, snapshot
WITH reasons AS (
    SELECT file_path, stage || '/' || reason AS why, count(*) AS records FROM rejects GROUP BY ALL
)
SELECT s.file_path, sum(s.records)::BIGINT AS records, sum(s.rejects)::BIGINT AS rejects, sum(s.rejects) / nullif(sum(s.records), 0) AS rejected_share, any_value(r.why) AS most_frequent
FROM sources s LEFT JOIN (SELECT file_path, arg_max(why, (records, why)) AS why FROM reasons GROUP BY 1) r ON r.file_path = s.file_path
GROUP BY s.file_path
ORDER BY rejected_share DESC NULLS LAST, rejects DESC, s.file_path
