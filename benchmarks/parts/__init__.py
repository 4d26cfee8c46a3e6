"""What benchmarks are made of: records of runs, memory, programs in processes of their own."""
