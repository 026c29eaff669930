-- How similar the pairs are: pairs per step of 0.05; those that are not identical by where the other document is and whether they count as duplicates; how many were measured from the texts.
-- of: run
SELECT
    least(floor(similarity * 20), 19) / 20 AS similarity_from,
    count(*) AS pairs,
    count(*) FILTER (WHERE scope = 'snapshot' AND duplicate AND NOT identical) AS snapshot_duplicates,
    count(*) FILTER (WHERE scope = 'snapshot' AND NOT duplicate AND NOT identical) AS snapshot_others,
    count(*) FILTER (WHERE scope = 'run' AND duplicate AND NOT identical) AS run_duplicates,
    count(*) FILTER (WHERE scope = 'run' AND NOT duplicate AND NOT identical) AS run_others,
    count(*) FILTER (WHERE scope = 'crawl' AND duplicate AND NOT identical) AS crawl_duplicates,
    count(*) FILTER (WHERE scope = 'crawl' AND NOT duplicate AND NOT identical) AS crawl_others,
    count(*) FILTER (WHERE identical) AS identical,
    count(*) FILTER (WHERE exact AND NOT identical) AS measured,
    count(*) FILTER (WHERE address) AS same_address
FROM matches
GROUP BY 1
ORDER BY 1
