"""`make model`: from tables of labelled text to the models, their calibration and their card.

`rows` reads tables and puts each text through the extractor, `fit` learns the three models, `calibrate` turns scores of texts
whose source the models did not see into the combiner of the calibration file, `card` writes the model card.
"""
