"""What `modgate sweep` and `modgate policy backtest` do. Imported when one of them runs: it loads Polars."""
