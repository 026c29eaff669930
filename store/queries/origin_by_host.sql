-- How many documents of each origin come from each host, the largest host first.
-- of: run, snapshot
SELECT
    coalesce(nullif(lower(regexp_extract(d.url, '^[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/?#@]*@)?([^/?#:]+)', 1)), ''), 'no host') AS host,
    count(*) AS documents,
    count(*) FILTER (WHERE t.origin = 'human') AS human,
    count(*) FILTER (WHERE t.origin = 'machine_generated') AS machine_generated,
    count(*) FILTER (WHERE t.origin = 'machine_translated') AS machine_translated,
    count(*) FILTER (WHERE t.origin = 'unknown') AS unknown,
    count(*) FILTER (WHERE t.origin LIKE 'machine%') / count(*) AS machine_share
FROM documents d JOIN tags t ON t.key = d.key
GROUP BY 1
ORDER BY documents DESC, host
