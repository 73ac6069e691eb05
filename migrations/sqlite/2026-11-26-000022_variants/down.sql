DROP TABLE image_focal_points;
DROP TABLE image_variants;
DROP TABLE image_plans;
