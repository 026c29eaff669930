"""Beam, the verbs and the command line. The only package that imports apache_beam."""
