-- How similar the measured pairs are: pairs per step of 0.05; those that are not identical by where the other document is and whether they count as duplicates.
-- of: run
SELECT
    least(floor(similarity * 20), 19) / 20 AS similarity_from,
    count(*) AS pairs,
    count(*) FILTER (WHERE scope = 'snapshot' AND duplicate AND NOT identical) AS snapshot_duplicates,
    count(*) FILTER (WHERE scope = 'snapshot' AND NOT duplicate AND NOT identical) AS snapshot_others,
    count(*) FILTER (WHERE scope = 'crawl' AND duplicate AND NOT identical) AS crawl_duplicates,
    count(*) FILTER (WHERE scope = 'crawl' AND NOT duplicate AND NOT identical) AS crawl_others,
    count(*) FILTER (WHERE identical) AS identical
FROM matches
GROUP BY 1
ORDER BY 1
