-- From records to documents to kept documents: how many are left at each step, in all and by origin.
-- of: run
SELECT 1 AS step, 'records read' AS stage, sum(records)::BIGINT AS documents, NULL::BIGINT AS human, NULL::BIGINT AS machine_generated, NULL::BIGINT AS machine_translated, NULL::BIGINT AS unknown
FROM sources
UNION ALL
SELECT 2, 'became documents', count(*),
    count(*) FILTER (WHERE origin = 'human'), count(*) FILTER (WHERE origin = 'machine_generated'),
    count(*) FILTER (WHERE origin = 'machine_translated'), count(*) FILTER (WHERE origin = 'unknown')
FROM tags
UNION ALL
SELECT 3, 'kept', count(*),
    count(*) FILTER (WHERE origin = 'human'), count(*) FILTER (WHERE origin = 'machine_generated'),
    count(*) FILTER (WHERE origin = 'machine_translated'), count(*) FILTER (WHERE origin = 'unknown')
FROM tags
WHERE canonical IS NULL
ORDER BY step
