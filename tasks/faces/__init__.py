"""Faces and their emotions in photographs, and the tables and pages made of them."""
