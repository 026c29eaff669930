-- What is left of each origin from the runs' documents to a mix's shards, what keeps each out, and both as shares of what there was of the origin.
-- of: mix
WITH stated AS (
    SELECT regexp_extract(key, '^stated[.]survival[.]([a-z_]+)[.]([a-z_]+)$', ['stage', 'origin']) AS named, value::BIGINT AS documents
    FROM (SELECT key, value FROM manifest WHERE key LIKE 'stated.survival.%')
),
steps (step, name, stage) AS (VALUES
    (1, 'frozen', 'texts of the snapshot that may count as human'), (2, 'attested', 'of these, attested as the mix asks'),
    (3, 'documents', 'documents of the runs'), (4, 'kept', 'kept in the runs'),
    (5, 'origin_not_allowed', 'kept out: origin not allowed'), (6, 'crawled_revoked', 'kept out: revoked'),
    (7, 'equal_to_human', 'kept out: equal to a human document'), (8, 'equal_to_other', 'kept out: equal to another one'),
    (9, 'may_enter', 'may enter'), (10, 'passed', 'pass the filter, of these and of the attested'), (11, 'in_shards', 'in the shards')),
counts AS (
    SELECT step, any_value(s.stage) AS stage, sum(documents)::BIGINT AS documents,
        coalesce(sum(documents) FILTER (WHERE named.origin = 'human'), 0)::BIGINT AS human,
        coalesce(sum(documents) FILTER (WHERE named.origin = 'machine_generated'), 0)::BIGINT AS machine_generated,
        coalesce(sum(documents) FILTER (WHERE named.origin = 'machine_translated'), 0)::BIGINT AS machine_translated,
        coalesce(sum(documents) FILTER (WHERE named.origin = 'unknown'), 0)::BIGINT AS unknown
    FROM steps s JOIN stated ON stated.named.stage = s.name GROUP BY step
)
SELECT c.step, c.stage, c.documents, c.human, c.machine_generated, c.machine_translated, c.unknown,
    CASE WHEN c.step IN (1, 2, 10, 11) THEN c.human / nullif(h.human, 0) END AS of_human,
    CASE WHEN c.step > 2 THEN c.machine_generated / nullif(a.machine_generated, 0) END AS of_machine_generated,
    CASE WHEN c.step > 2 THEN c.machine_translated / nullif(a.machine_translated, 0) END AS of_machine_translated,
    CASE WHEN c.step > 2 THEN c.unknown / nullif(a.unknown, 0) END AS of_unknown,
    c.human / nullif(c.documents, 0) AS share_human,
    (c.machine_generated + c.machine_translated) / nullif(c.documents, 0) AS share_machine
FROM counts c, (SELECT * FROM counts WHERE step = 1) h, (SELECT * FROM counts WHERE step = 3) a
ORDER BY c.step
