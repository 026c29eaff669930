-- Whether any record was lost: per input file, records read less documents less rejects, counted anew from the rows (all zero, or promise P1 is broken).
-- of: run, snapshot
WITH
    named AS (SELECT file_path, count(*) AS rows FROM documents GROUP BY 1),
    ended AS (SELECT file_path, count(*) AS rows FROM rejects GROUP BY 1),
    listed AS (
        SELECT file_path, sum(records)::BIGINT AS records, sum(documents)::BIGINT AS documents, sum(rejects)::BIGINT AS rejects, sum(unaccounted)::BIGINT AS unaccounted
        FROM sources GROUP BY 1
    )
SELECT
    coalesce(l.file_path, n.file_path, r.file_path) AS file_path,
    coalesce(l.records, 0) AS records,
    coalesce(n.rows, 0) AS documents,
    coalesce(r.rows, 0) AS rejects,
    coalesce(l.records, 0) - coalesce(n.rows, 0) - coalesce(r.rows, 0) AS lost,
    coalesce(l.documents, 0) - coalesce(n.rows, 0) AS documents_miscounted,
    coalesce(l.rejects, 0) - coalesce(r.rows, 0) AS rejects_miscounted,
    coalesce(l.unaccounted, 0) AS unaccounted
FROM listed l
FULL JOIN named n ON n.file_path = l.file_path
FULL JOIN ended r ON r.file_path = coalesce(l.file_path, n.file_path)
ORDER BY abs(lost) + abs(documents_miscounted) + abs(rejects_miscounted) + unaccounted DESC, file_path
