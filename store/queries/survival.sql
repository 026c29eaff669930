-- What is left of each origin from the records to the kept documents, what each reason of dropping takes, and both as shares of the origin's documents.
-- of: run
WITH pairs AS (
    SELECT key, other, bool_or(identical) AS identical, bool_or(address) AS address, min(scope) AS scope FROM matches GROUP BY key, other
),
fates AS (
    SELECT t.origin, CASE
        WHEN t.canonical IS NULL THEN 'kept'
        WHEN p.key IS NULL THEN 'copy of another copy'
        WHEN p.identical THEN 'equal to a text of ' || w.place
        WHEN p.address THEN 'captured at one URL with a document of ' || w.place
        ELSE 'near a text of ' || w.place END AS fate
    FROM tags t LEFT JOIN pairs p ON p.key = t.key AND p.other = t.canonical
    LEFT JOIN (VALUES ('snapshot', 'the snapshot'), ('run', 'an earlier run'), ('crawl', 'the crawl')) w (scope, place) ON w.scope = p.scope
),
stages AS (
    SELECT 1 AS step, 'records read' AS stage, NULL AS origin, sum(records)::BIGINT AS documents FROM sources
    UNION ALL SELECT 2, 'became documents', origin, count(*) FROM tags GROUP BY origin
    UNION ALL SELECT 3, 'dropped: ' || fate, origin, count(*) FROM fates WHERE fate <> 'kept' GROUP BY fate, origin
    UNION ALL SELECT 4, 'kept', origin, count(*) FROM fates WHERE fate = 'kept' GROUP BY origin
    UNION ALL SELECT step, stage, NULL, 0 FROM (VALUES (2, 'became documents'), (4, 'kept')) there (step, stage)
),
counts AS (
    SELECT step, stage, sum(documents)::BIGINT AS documents,
        coalesce(sum(documents) FILTER (WHERE origin = 'human'), 0)::BIGINT AS human,
        coalesce(sum(documents) FILTER (WHERE origin = 'machine_generated'), 0)::BIGINT AS machine_generated,
        coalesce(sum(documents) FILTER (WHERE origin = 'machine_translated'), 0)::BIGINT AS machine_translated,
        coalesce(sum(documents) FILTER (WHERE origin = 'unknown'), 0)::BIGINT AS unknown
    FROM stages GROUP BY step, stage
)
SELECT c.step, c.stage, c.documents,
    CASE WHEN c.step > 1 THEN c.human END AS human, CASE WHEN c.step > 1 THEN c.machine_generated END AS machine_generated,
    CASE WHEN c.step > 1 THEN c.machine_translated END AS machine_translated, CASE WHEN c.step > 1 THEN c.unknown END AS unknown,
    CASE WHEN c.step > 1 THEN c.human / nullif(a.human, 0) END AS of_human,
    CASE WHEN c.step > 1 THEN c.machine_generated / nullif(a.machine_generated, 0) END AS of_machine_generated,
    CASE WHEN c.step > 1 THEN c.machine_translated / nullif(a.machine_translated, 0) END AS of_machine_translated,
    CASE WHEN c.step > 1 THEN c.unknown / nullif(a.unknown, 0) END AS of_unknown,
    CASE WHEN c.step > 1 THEN c.human / nullif(c.documents, 0) END AS share_human,
    CASE WHEN c.step > 1 THEN (c.machine_generated + c.machine_translated) / nullif(c.documents, 0) END AS share_machine
FROM counts c, (SELECT * FROM counts WHERE step = 2) a
ORDER BY c.step, c.documents DESC, c.stage
