"""What lies in a file that somebody gives as weights; nothing is executed."""
