"""`python -m runtime.demo`, which `make demo` runs."""

import sys

from runtime.demo.demo import main

sys.exit(main())
