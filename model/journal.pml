/* The facts of one node: an agent that may die and be started again over its journal, reports and
 * answers that get lost, come twice or late, servers that die, power cuts. README.md says which code
 * each step stands for.
 */

#ifndef FAULTS
#define FAULTS 5
#endif
#define FACTS 3                     /* the journal's length at its end; each fact is its own number */
#define NEVER 0

byte faults;
#define fault (faults < FAULTS) -> faults++

/* ---- the node's disk. What was written is there for the next agent, and after a power cut only what
 * was also flushed. `content` tells apart what two agents wrote under the same number. */

byte written, flushed;
byte content[FACTS + 1];
byte lives = 1;                     /* which agent of the node it is */

/* ---- the records */

byte taken;
byte recorded[FACTS + 1];

/* ---- the network: a report is (number, content), an answer the number that is taken */

chan reports = [2] of { byte, byte };
chan answers = [1] of { byte };

/* ---- watched; decides nothing */

byte acknowledged[FACTS + 1];       /* by number: the content that some agent heard is taken */

active proctype agent() {
  byte heard, upto;

life:
  heard = 0;
#ifdef MUTANT_JOURNAL_NOT_READ
  written = 0; flushed = 0;
#endif
end_life:
  do
  :: d_step { written < FACTS -> written++; content[written] = lives }
  :: d_step { heard < written && empty(reports) ->
#ifndef MUTANT_REPORTED_BEFORE_FLUSHED
       flushed = written;
#endif
       reports ! heard + 1, content[heard + 1] }
  :: atomic { answers ? upto ->
       heard = (upto <= written -> upto : written);
       if
       :: upto > 0 && upto <= written ->
          acknowledged[upto] = content[upto];
          assert(recorded[upto] == content[upto])   /* what was acknowledged is in the records */
       :: else
       fi;
       upto = 0 }
  :: atomic { fault; lives++; goto life }                               /* it dies, and is started again */
  :: atomic { fault; lives++; written = flushed; goto life }            /* so does the machine */
  :: atomic { heard == FACTS -> break }
  od;
  atomic {
    assert(taken == FACTS);                         /* it leaves when all of it was taken */
    for (upto : 1 .. FACTS) { assert(recorded[upto] == content[upto]) }
    upto = 0
  };
end_gone:
  do
  :: answers ? _
  od
}

inline take() {                                     /* TrainingRecords.take */
  if
#ifdef MUTANT_NUMBERS_UNCHECKED
  :: true ->
#else
  :: n == taken + 1 ->
#endif
     assert(n == taken + 1);                        /* each once, in order */
     assert(recorded[n] == NEVER);
     recorded[n] = what; taken = n
  :: else
  fi
}

inline answer() {
  if
  :: nfull(answers) -> answers ! last
  :: fault                                          /* it gets lost */
  fi
}

active [2] proctype intake() {                      /* in each server */
  byte n, what, last;
end_idle:
  do
  :: atomic { reports ? n, what ->
       if
       :: true
       :: nfull(reports) && fault; reports ! n, what        /* it comes again, later */
       :: fault; goto next                                  /* it gets lost, or its server dies */
       fi };
#ifdef MUTANT_ANSWERED_BEFORE_WRITTEN
     atomic {
       last = (n == taken + 1 -> n : taken);
       answer();
       if :: true :: fault; goto next fi
     };
     d_step { take() };
#else
     d_step { take() };
     atomic { last = taken; answer() };
#endif
next:
     atomic { n = 0; what = 0; last = 0 }
  od
}

ltl ends { <> (taken == FACTS) }
