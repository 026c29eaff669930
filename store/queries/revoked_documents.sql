-- What a revocation list does to a snapshot: eligible documents and bytes by what they proved before, and what is left of them after.
-- of: snapshot
-- with: revoked
WITH moved AS (SELECT before, coalesce(after, 'nothing') AS after, bytes FROM lowered)
SELECT before, after, count(*) AS documents, coalesce(sum(bytes), 0)::BIGINT AS bytes
FROM moved
GROUP BY before, after
ORDER BY list_position(['none', 'declared', 'captured', 'released', 'corroborated', 'timestamped'], before), after
