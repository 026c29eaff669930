-- How many documents of each origin there are in each language, the most frequent language first.
-- of: run, snapshot
SELECT
    coalesce(d.language, 'unknown') AS language,
    count(*) AS documents,
    count(*) FILTER (WHERE t.origin = 'human') AS human,
    count(*) FILTER (WHERE t.origin = 'machine_generated') AS machine_generated,
    count(*) FILTER (WHERE t.origin = 'machine_translated') AS machine_translated,
    count(*) FILTER (WHERE t.origin = 'unknown') AS unknown,
    count(*) FILTER (WHERE t.origin LIKE 'machine%') / count(*) AS machine_share
FROM documents d JOIN tags t ON t.key = d.key
GROUP BY 1
ORDER BY documents DESC, language
