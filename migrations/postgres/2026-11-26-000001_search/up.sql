-- One row a live publication. Its number follows the publication time, so that "newest" is index order.
CREATE TABLE search_docs (
    row_id BIGINT PRIMARY KEY NOT NULL,
    article_id TEXT NOT NULL UNIQUE REFERENCES publications (article_id) ON DELETE CASCADE,
    title_exact TEXT NOT NULL,
    title_folded TEXT NOT NULL,
    lead_exact TEXT NOT NULL,
    lead_folded TEXT NOT NULL
);

-- The words of search_docs, under the same numbers. Narrow rows (the words lie outside), so that the newest of many hits
-- are found without touching the words.
CREATE TABLE search_words (
    row_id BIGINT PRIMARY KEY NOT NULL REFERENCES search_docs (row_id) ON DELETE CASCADE,
    exact tsvector NOT NULL,
    folded tsvector NOT NULL
) WITH (toast_tuple_target = 128);
CREATE INDEX search_words_exact ON search_words USING gin (exact);
CREATE INDEX search_words_folded ON search_words USING gin (folded);
