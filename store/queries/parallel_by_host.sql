-- Mass localisation: how many pages of each host are parallel to pages of other languages, of how many languages, and how many of them in 3, 5 and 10 or more.
-- of: run
SELECT
    coalesce(nullif(regexp_replace(lower(regexp_extract(d.url, '^[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/?#@]*@)?([^/?#:]+)', 1)), '^www\.', ''), ''), 'no host') AS host,
    count(*) AS documents,
    count(DISTINCT d.language) AS languages,
    count(e.key) AS parallel,
    count(e.key) / count(*) AS parallel_share,
    quantile_disc(e.value, 0.5)::INT AS median_languages,
    max(e.value)::INT AS most_languages,
    count(*) FILTER (WHERE e.value >= 3) AS in_3_or_more,
    count(*) FILTER (WHERE e.value >= 5) AS in_5_or_more,
    count(*) FILTER (WHERE e.value >= 10) AS in_10_or_more
FROM documents d LEFT JOIN evidence e ON e.key = d.key AND e.signal = 'parallelism'
GROUP BY 1
HAVING count(e.key) > 0
ORDER BY parallel DESC, host
