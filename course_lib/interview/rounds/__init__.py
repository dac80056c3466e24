"""The mock interview: what is asked, what has happened, what it comes to. Views: mock.py, mock_terminal.py."""
