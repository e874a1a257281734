"""What comes after an attack: a page on which people listen, and what their answers say."""
