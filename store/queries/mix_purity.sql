-- The machine share that hides in a mix's human side, estimated on a sample of its human documents and no part of what is proven.
-- of: mix
SELECT
    max(value) FILTER (WHERE key = 'stated.purity.unit') AS unit,
    max(value) FILTER (WHERE key = 'stated.purity.documents')::BIGINT AS documents,
    max(value) FILTER (WHERE key = 'stated.purity.estimated')::BIGINT AS estimated,
    max(value) FILTER (WHERE key = 'stated.purity.before_2020')::BIGINT AS before_2020,
    TRY_CAST(max(value) FILTER (WHERE key = 'stated.purity.share') AS DOUBLE) AS share,
    TRY_CAST(max(value) FILTER (WHERE key = 'stated.purity.share_low') AS DOUBLE) AS share_low,
    TRY_CAST(max(value) FILTER (WHERE key = 'stated.purity.share_high') AS DOUBLE) AS share_high,
    TRY_CAST(max(value) FILTER (WHERE key = 'stated.purity.rogan_gladen_low') AS DOUBLE) AS rogan_gladen_low,
    TRY_CAST(max(value) FILTER (WHERE key = 'stated.purity.rogan_gladen_high') AS DOUBLE) AS rogan_gladen_high,
    max(value) FILTER (WHERE key = 'stated.purity.human_side' AND value <> 'null') AS human_side,
    max(value) FILTER (WHERE key = 'stated.purity.note' AND value <> 'null') AS note
FROM manifest
WHERE key LIKE 'stated.purity.%'
