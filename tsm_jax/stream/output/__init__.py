"""What is made of a stream: tables, subtitles, pictures, videos."""
