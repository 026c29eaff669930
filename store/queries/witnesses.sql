-- Whose word each leaf is: leaves, their documents and bytes by attestation and witness, weakest first; a further witness of a document is a leaf of its own.
-- of: snapshot
SELECT
    attestation,
    coalesce(nullif(witness, ''), 'none') AS witness,
    count(*) AS leaves,
    count(*) FILTER (WHERE eligible) AS eligible,
    count(*) FILTER (WHERE names <> '') AS further,
    count(DISTINCT key) AS documents,
    coalesce(sum(text_bytes), 0)::BIGINT AS bytes,
    min(date) AS first_capture,
    max(date_end) AS last_capture
FROM leaves
WHERE redacted IS NULL
GROUP BY 1, 2
ORDER BY list_position(['none', 'declared', 'captured', 'released', 'corroborated', 'timestamped'], attestation), bytes DESC, 2
