-- How many documents and bytes were captured in each year, and how many of them a mix may count as human.
-- of: snapshot
SELECT
    coalesce(strftime(date_end, '%Y'), 'no date') AS year,
    count(*) AS documents,
    count(*) FILTER (WHERE eligible) AS eligible,
    coalesce(sum(byte_count), 0)::BIGINT AS bytes,
    coalesce(sum(byte_count) FILTER (WHERE eligible), 0)::BIGINT AS eligible_bytes
FROM documents
GROUP BY 1
ORDER BY 1
