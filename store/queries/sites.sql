-- Hosts with at least 15 scored pages: how many are kept, scored and tagged machine_generated, and which share scores above 90 % of human text.
-- of: run
SELECT
    coalesce(nullif(regexp_replace(lower(regexp_extract(d.url, '^[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/?#@]*@)?([^/?#:]+)', 1)), '^www\.', ''), ''), 'no host') AS host,
    count(*) AS kept,
    count(c.key) AS scored,
    count(*) FILTER (WHERE t.origin = 'machine_generated') AS machine_generated,
    count(*) FILTER (WHERE t.origin = 'machine_generated') / count(*) AS machine_share,
    round(avg(s.value) FILTER (WHERE c.key IS NOT NULL), 6) AS above_share
FROM documents d
JOIN tags t ON t.key = d.key AND t.canonical IS NULL
LEFT JOIN evidence s ON s.key = d.key AND s.signal = 'site'
LEFT JOIN evidence c ON c.key = d.key AND c.signal = 'combined'
GROUP BY 1
HAVING count(s.key) > 0
ORDER BY above_share DESC, scored DESC, host
