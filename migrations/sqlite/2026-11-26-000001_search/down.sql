DROP TRIGGER search_docs_gone;
DROP TABLE search_words;
DROP TABLE search_docs;
