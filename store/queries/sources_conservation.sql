-- Whether any record was lost: per input file, records read less documents less rejects, counted anew from the rows (all zero, or promise P1 is broken).
-- of: run, snapshot
-- Rows that were redacted name no file any more, and an index-only snapshot's never did. They explain what the files lack if they
-- are as many as that (redacted_or_hidden); else they stand in a row of their own, and which file lost what cannot be told.
-- Of an index-only snapshot only the totals can be compared.
WITH
    index_only AS (SELECT count(*) > 0 AS hidden FROM manifest WHERE key = 'index_only' AND value = 'true'),
    named AS (SELECT CASE WHEN hidden THEN NULL ELSE file_path END AS file_path, count(*) AS rows FROM documents, index_only GROUP BY 1),
    ended AS (SELECT CASE WHEN hidden THEN NULL ELSE file_path END AS file_path, count(*) AS rows FROM rejects, index_only GROUP BY 1),
    listed AS (
        SELECT CASE WHEN hidden THEN '(all files; the rows name none)' ELSE file_path END AS file_path,
            sum(records)::BIGINT AS records, sum(documents)::BIGINT AS documents, sum(rejects)::BIGINT AS rejects, sum(unaccounted)::BIGINT AS unaccounted
        FROM sources, index_only GROUP BY 1
    ),
    nameless AS (
        SELECT coalesce((SELECT sum(rows) FROM named WHERE file_path IS NULL), 0)::BIGINT AS documents,
            coalesce((SELECT sum(rows) FROM ended WHERE file_path IS NULL), 0)::BIGINT AS rejects
    ),
    files AS (
        SELECT
            coalesce(l.file_path, n.file_path, r.file_path) AS file_path,
            coalesce(l.records, 0) AS records,
            coalesce(n.rows, 0) AS documents,
            coalesce(r.rows, 0) AS rejects,
            coalesce(l.documents, 0) - coalesce(n.rows, 0) AS documents_lacking,
            coalesce(l.rejects, 0) - coalesce(r.rows, 0) AS rejects_lacking,
            coalesce(l.unaccounted, 0) AS unaccounted
        FROM listed l
        FULL JOIN (FROM named WHERE file_path IS NOT NULL) n ON n.file_path = l.file_path
        FULL JOIN (FROM ended WHERE file_path IS NOT NULL) r ON r.file_path = coalesce(l.file_path, n.file_path)
    ),
    explained AS (
        SELECT
            count(*) = 1 AS alone,
            count(*) FILTER (WHERE documents_lacking < 0) = 0 AND coalesce(sum(documents_lacking), 0) = (SELECT documents FROM nameless) AS documents,
            count(*) FILTER (WHERE rejects_lacking < 0) = 0 AND coalesce(sum(rejects_lacking), 0) = (SELECT rejects FROM nameless) AS rejects
        FROM files
    ),
    settled AS (
        SELECT f.*,
            CASE WHEN e.documents THEN documents_lacking WHEN alone THEN n.documents ELSE 0 END AS documents_hidden,
            CASE WHEN e.rejects THEN rejects_lacking WHEN alone THEN n.rejects ELSE 0 END AS rejects_hidden
        FROM files f, explained e, nameless n
        UNION ALL
        SELECT '(rows that name no file)', 0, d, r, -d, -r, 0, 0, 0
        FROM (
            SELECT CASE WHEN alone OR e.documents THEN 0 ELSE n.documents END AS d, CASE WHEN alone OR e.rejects THEN 0 ELSE n.rejects END AS r FROM nameless n, explained e
        ) WHERE d + r > 0
    )
SELECT
    file_path,
    records,
    documents,
    rejects,
    documents_hidden + rejects_hidden AS redacted_or_hidden,
    records - documents - rejects - redacted_or_hidden AS lost,
    documents_lacking - documents_hidden AS documents_miscounted,
    rejects_lacking - rejects_hidden AS rejects_miscounted,
    unaccounted
FROM settled
ORDER BY abs(lost) + abs(documents_miscounted) + abs(rejects_miscounted) + unaccounted DESC, file_path
