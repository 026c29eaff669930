-- What each signal said: documents it read, the range of its readings, its mean log-likelihood ratio and how many verdicts rest on it.
-- of: run, snapshot
WITH based AS (SELECT key, unnest(basis) AS signal FROM tags)
SELECT
    e.signal,
    e.version,
    count(DISTINCT e.key) AS documents,
    min(e.value) AS lowest,
    quantile_disc(e.value, 0.5) AS median,
    max(e.value) AS highest,
    round(avg(e.log_likelihood_ratio), 6) AS mean_log_likelihood_ratio,
    count(DISTINCT b.key) AS verdicts
FROM evidence e LEFT JOIN based b ON b.key = e.key AND b.signal = e.signal
GROUP BY e.signal, e.version
ORDER BY documents DESC, e.signal, e.version
