"""What speaks of no data: texts and files from elsewhere, this machine, names, errors' words."""
