-- On what the dates rest: documents and bytes by attestation level, weakest first, and how many may count as human.
-- of: snapshot
SELECT
    attestation,
    count(*) AS documents,
    count(*) FILTER (WHERE eligible) AS eligible,
    coalesce(sum(byte_count), 0)::BIGINT AS bytes,
    coalesce(sum(byte_count) FILTER (WHERE eligible), 0)::BIGINT AS eligible_bytes,
    count(DISTINCT witness) AS witnesses
FROM documents
GROUP BY attestation
ORDER BY list_position(['none', 'declared', 'captured', 'released', 'corroborated', 'timestamped'], attestation)
