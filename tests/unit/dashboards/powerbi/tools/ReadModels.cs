// Reads folders of TMDL with Microsoft's own parser and prints each model as JSON, a line each.
using System;
using Microsoft.AnalysisServices.Tabular;
using Microsoft.AnalysisServices.Tabular.Tmdl;

static class ReadModels
{
    static int Main(string[] folders)
    {
        foreach (string folder in folders)
        {
            try
            {
                Database database = TmdlSerializer.DeserializeDatabaseFromFolder(folder);
                string text = JsonSerializer.SerializeDatabase(database);
                Console.WriteLine(text.Replace("\r", "").Replace("\n", ""));
            }
            catch (Exception error) when (error is TmdlFormatException || error is TmdlSerializationException)
            {
                Console.Error.WriteLine(error.Message);
                return 1;
            }
        }
        return 0;
    }
}
