-- The machine share of a run, estimated for the whole and not counted from tags: of all documents, of the kept ones, and of the placebo.
-- of: run
SELECT value AS part, documents, estimated, hosts, human, machine_generated, machine_translated, unknown, share, share_low, share_high,
    rogan_gladen_low, rogan_gladen_high, placebo, covers_zero, note
FROM prevalence
WHERE dimension IN ('all', 'kept', 'placebo')
ORDER BY list_position(['all', 'kept', 'placebo'], dimension)
