"""What `report` is made of: safe markup, small charts, and one module per kind of page."""
