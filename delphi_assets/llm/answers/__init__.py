"""What the text of an answer says, whatever it was asked for."""
