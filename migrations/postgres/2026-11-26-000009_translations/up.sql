-- A story looks for its other languages, withdrawn ones too: the index of live rows does not serve that.
CREATE INDEX publications_by_translation ON publications (translation_group);
