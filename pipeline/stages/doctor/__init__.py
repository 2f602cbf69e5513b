"""doctor: what dead processes, full disks and hands have left behind, found, said and mended.

for line in doctor(project, name, fix=True): print(line)

One module for each place where something can be wrong; each looks without writing and says how it mends.
"""

from pipeline.stages.doctor.visit import doctor

__all__ = ["doctor"]
