-- Whose word the human side rests on: eligible documents and bytes by witness, the heaviest first.
-- of: snapshot
SELECT
    coalesce(witness, 'none') AS witness,
    attestation,
    count(*) AS documents,
    coalesce(sum(byte_count), 0)::BIGINT AS bytes,
    min(date) AS first_capture,
    max(date_end) AS last_capture
FROM documents
WHERE eligible
GROUP BY ALL
ORDER BY bytes DESC, witness, attestation
