-- Which documents were dropped as copies, of what, and at which similarity; where the kept one lies in the crawl, its id too.
-- of: run
SELECT
    t.key,
    t.id,
    t.canonical,
    k.id AS canonical_id,
    m.scope,
    m.similarity,
    m.containment,
    m.contained,
    m.estimate,
    m.exact,
    m.identical,
    m.address,
    t.origin
FROM tags t
LEFT JOIN matches m ON m.key = t.key AND m.other = t.canonical
LEFT JOIN tags k ON k.key = t.canonical
WHERE t.canonical IS NOT NULL
ORDER BY t.canonical, m.similarity DESC, t.key
