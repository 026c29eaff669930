-- How much of each language and year a mix may count as human, and why not the rest: machine evidence, a capture that looks false, boilerplate, length, redaction or another reason.
-- of: snapshot
SELECT
    coalesce(language, 'unknown') AS language,
    coalesce(strftime(date_end, '%Y'), 'no date') AS year,
    count(*) AS documents,
    count(*) FILTER (WHERE eligible) AS eligible,
    coalesce(sum(byte_count), 0)::BIGINT AS bytes,
    coalesce(sum(byte_count) FILTER (WHERE eligible), 0)::BIGINT AS eligible_bytes,
    count(*) FILTER (WHERE why = 'translation') AS machine_translation,
    count(*) FILTER (WHERE why = 'residue') AS residue,
    count(*) FILTER (WHERE why = 'machine') AS machine_evidence,
    count(*) FILTER (WHERE why = 'false_capture') AS false_capture,
    count(*) FILTER (WHERE why = 'boilerplate') AS boilerplate,
    count(*) FILTER (WHERE why = 'short') AS short,
    count(*) FILTER (WHERE why = 'redacted') AS redacted,
    count(*) FILTER (WHERE why = 'other') AS other
FROM (
    SELECT *, CASE
        WHEN coalesce(eligible, false) THEN NULL
        WHEN ineligible_reason LIKE 'redacted%' THEN 'redacted'
        WHEN ineligible_reason LIKE 'boilerplate%' THEN 'boilerplate'
        WHEN ineligible_reason LIKE 'fewer than%' OR ineligible_reason LIKE 'under%' THEN 'short'
        WHEN ineligible_reason LIKE 'the capture looks false%' THEN 'false_capture'
        WHEN split_part(ineligible_reason, ':', 1) LIKE '%translation%' THEN 'translation'
        WHEN ineligible_reason LIKE 'residue: %' THEN 'residue'
        WHEN ineligible_reason LIKE '%: %' THEN 'machine'
        ELSE 'other'
    END AS why
    FROM documents
)
GROUP BY 1, 2
ORDER BY 1, 2
