-- Why documents of a snapshot may not count as human: each reason, with documents and bytes.
-- of: snapshot
SELECT coalesce(ineligible_reason, 'not stated') AS reason, count(*) AS documents, coalesce(sum(byte_count), 0)::BIGINT AS bytes
FROM documents
WHERE NOT coalesce(eligible, false)
GROUP BY 1
ORDER BY documents DESC, reason
